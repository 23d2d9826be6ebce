handler() { echo "never loaded
