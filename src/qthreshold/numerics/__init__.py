"""The ground floor: numpy and scipy only; arrays in, arrays out."""
