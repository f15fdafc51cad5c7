"""What the configuration, or habit, lets expect: rules for what does not come."""
