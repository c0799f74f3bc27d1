"""Canaries on real pods: good versions are promoted, bad ones go back by themselves, and no job is lost meanwhile."""
