"""The host of custom runtimes: serves Lambda's Runtime and Extensions APIs to one instance."""
