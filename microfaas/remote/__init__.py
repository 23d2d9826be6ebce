"""AWS's services as they are elsewhere: where to find them, and how to call them."""
