"""The sample guest and the Linux guest on real QEMU, driven directly: no part of Stillframe between test and guest."""
