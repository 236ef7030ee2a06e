"""Leaving the machine as a file, and coming back: export and import of VMs, templates, snapshots and disks."""
