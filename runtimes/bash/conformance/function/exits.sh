# A file that ends the process.
exit 7
