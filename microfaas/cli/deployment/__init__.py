"""Taking a project to a gateway: what is wanted is compared with what is there, part by part, and
only the difference is asked for, through AWS's own API."""
