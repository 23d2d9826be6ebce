"""What fires functions: each kind of trigger is one file here and one row in `table.py`."""
