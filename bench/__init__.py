"""How fast and how small microfaas is: every scenario runs next to its floor, in one run."""
