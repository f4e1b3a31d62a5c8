/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* region_send.c - a region's descriptor over a connected socket. See <evering/region.h>;
 * between those who do not know each other, meet.h. */

#include <evering/region.h>

#include <string.h>

#include "region_internal.h"

/* What evr_region_send() sends beside the descriptor. */
static const char hello[8] = "evering1";

int evr_region_send(const struct evr_region *region, int socket_fd)
{
	return evri_os_send_fd(socket_fd, region->fd, hello, sizeof(hello));
}

int evr_region_receive(int socket_fd, struct evr_region **ret_region)
{
	char greeting[sizeof(hello)];
	int fd;
	int error = evri_os_receive_fd(socket_fd, greeting, sizeof(greeting), &fd);

	if (error < 0)
		return evri_fail(error, "no region came over descriptor %d: %s",
				 socket_fd, strerror(-error));
	if (memcmp(greeting, hello, sizeof(hello)) != 0)
		error = evri_fail(-EPROTO,
				  "what came over descriptor %d is not a region's "
				  "greeting",
				  socket_fd);
	else
		error = evr_region_attach(fd, ret_region);
	evri_os_fd_close(fd);
	return error;
}
