"""What tests share: real servers as fixtures, and helpers without a place of their own."""
