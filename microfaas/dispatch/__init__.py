"""What takes messages that wait and sees them through: runs events, retries, passes outcomes on."""
