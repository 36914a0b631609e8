"""Jobs: what names them, their JSON and their answers; estimates, groups and reviews of them."""
