"""What is deployed through the API: its records, and how they become what runs."""
