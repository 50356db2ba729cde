"""The methods that ours is compared with: each module fits and samples one (see `fits.Baseline`)."""
