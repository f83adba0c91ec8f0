"""What people say is similar: votes, what they tell of networks, and what is learnt from them."""
