"""Every scenario of `wpool chaos` on real pods, with hands that reach the machine of the cluster: `make chaos`."""
