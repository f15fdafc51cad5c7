"""Virtual disks that are not read yet, and what hypervisors keep beside them."""

from formats.core.model import WriteModel
from formats.recognised.row import Row, begins, stands

ROWS = (
    Row(
        name="vmdk",
        title="VMware virtual disk (VMDK)",
        suffixes=(".vmdk",),
        # Hosted sparse extents and descriptor files: Virtual Disk Format 5.0. COWD with version 1
        # and SESparse (a 64-bit constant, then version 2.1): libvmdk's documentation.
        test=begins(
            b"KDMV",
            b"# Disk DescriptorFile",
            b"COWD\x01\x00\x00\x00",
            b"\xbe\xba\xfe\xca\x00\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00",
        ),
        write_model=WriteModel.REWRITTEN,
        reference="VMware Virtual Disk Format 5.0; libvmdk documentation, VMware Virtual Disk",
        seen="qemu-img 7.2, VirtualBox 7.2; one SESparse extent; no COWD",
    ),
    Row(
        name="vdi",
        title="VirtualBox virtual disk (VDI)",
        suffixes=(".vdi",),
        # The 64 bytes before the signature are free text that differs by writer.
        test=stands(64, b"\x7f\x10\xda\xbe"),
        write_model=WriteModel.REWRITTEN,
        reference="VirtualBox source, VDICore.h: VDI_IMAGE_SIGNATURE 0xBEDA107F",
        seen="qemu-img 7.2, VirtualBox 7.2",
    ),
    Row(
        name="qed",
        title="QEMU enhanced disk (QED)",
        suffixes=(".qed",),
        test=begins(b"QED\x00"),
        write_model=WriteModel.REWRITTEN,
        reference="QEMU docs/interop/qed_spec.txt, Header",
        seen="qemu-img 7.2",
    ),
    Row(
        name="parallels_hds",
        title="Parallels virtual disk",
        suffixes=(".hds", ".hdd"),
        # "Plain" disks have no header: they are raw and can only be known by what they hold.
        test=begins(b"WithoutFreeSpace", b"WithouFreSpacExt"),
        write_model=WriteModel.REWRITTEN,
        reference="QEMU docs/interop/parallels.txt, Header",
        seen="Parallels expanding and split disks",
    ),
    Row(
        name="asif",
        title="Apple sparse image (ASIF)",
        suffixes=(".asif",),
        # The version, big-endian, is 1 in the one file seen; one below 256 is assumed.
        test=begins(b"shdw\x00\x00\x00"),
        write_model=WriteModel.REWRITTEN,
        reference="one file made by macOS: 'shdw', then a version",
        seen="one macOS disk",
    ),
    Row(
        name="hyperv_vmcx",
        title="Hyper-V configuration or runtime state",
        suffixes=(".vmcx", ".vmrs"),
        test=begins(b"\x14\x20\x28\x01"),
        write_model=WriteModel.WRITE_ONCE,
        reference="both headers of real .vmcx and .VMRS files: signature 0x01282014",
        seen="Hyper-V .vmcx and .VMRS, version 0x400",
    ),
    Row(
        name="esxi_envelope",
        title="ESXi encrypted envelope",
        suffixes=(".ve",),
        test=begins(b"DataTransformEnvelope\x00"),
        write_model=WriteModel.WRITE_ONCE,
        reference="local.tgz.ve of an ESXi host",
        seen="one ESXi local.tgz.ve",
    ),
)
