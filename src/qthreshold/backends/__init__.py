"""What circuits can be run on."""
