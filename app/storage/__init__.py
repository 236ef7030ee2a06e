"""Storage repositories: qcow2 files, their chains, import, and the journal. The only caller of qemu-img."""
