"""How the product is proved: it is run as real processes against sandbox PSAs and looked at from outside."""
