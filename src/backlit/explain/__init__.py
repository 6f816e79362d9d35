"""What a gradient can say of itself: where it came from, why it vanished, burst, died or became NaN, what mends it."""
