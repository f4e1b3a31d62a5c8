/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* version.c - see <evering/version.h>. */

#include <evering/version.h>

const char *evr_version(void)
{
	return EVR_VERSION_STRING;
}
