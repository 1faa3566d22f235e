"""What a budget's campaign is: what is done, what is left and how long it takes, and what would be refused."""
