"""Every setting of a node, the file and the flags that give it, and how a wrong one is refused."""
