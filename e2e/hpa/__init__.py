"""Mode hpa as a whole: scenarios on real pods and on control planes without, played by the tests and by the report."""
