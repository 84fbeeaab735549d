"""What the client tests share. Python's standard library only."""
