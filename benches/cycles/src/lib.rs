//! A QEMU plugin that counts instructions between markers.
