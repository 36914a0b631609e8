"""Makes images easier to read: level, straight, clear and large enough, where they are not yet.

    enhanced = enhance(image, "auto", max_pixels)   # or the names of steps, in any order

Every step measures before it acts, and says what it measured. `auto` leaves an image alone whose
measures are those of a clean one; a step requested by name acts wherever it can.
"""

from worker.enhance.enhance import EnhancedImage, enhance

__all__ = ["EnhancedImage", "enhance"]
