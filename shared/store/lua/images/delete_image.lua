-- Delete an image, whoever needs it.
-- KEYS: image
-- Returns 1, or 0 when it is unknown.
return erase_image(KEYS[1], now_ms())
