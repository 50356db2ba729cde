"""The methods that ours is compared with, behind one contract: `fit` stores what was learnt, `sample` draws from it."""
