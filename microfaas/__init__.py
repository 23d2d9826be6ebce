"""AWS Lambda on one Linux box: functions in isolated, limited and metered processes."""

__version__ = "0.1.0"
