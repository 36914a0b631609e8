"""How a gateway reaches the blob store without holding up its event loop."""
