"""XenServer's .xva files: a tar archive of `ova.xml` and of the disks in blocks, maybe compressed as a whole.

Records, bytes and paths only: nothing here knows the store or a disk image. Everything is synchronous and streams, for
a thread to run; no step needs more memory than a few blocks.
"""
