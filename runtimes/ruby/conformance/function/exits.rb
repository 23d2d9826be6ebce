exit! 7
