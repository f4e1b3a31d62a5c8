/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* options.c - see options.h. */

#include "options.h"

#include <string.h>

#include "internal_error.h"

/* No options struct will ever be longer: a size beyond it was never set. */
#define PLAUSIBLE_BYTES 4096

int evri_options_take(const void *options, size_t least_bytes, void *known,
		      size_t known_bytes, const char *what)
{
	size_t bytes;

	if (!options)
		return evri_fail(-EINVAL, "%s options are required", what);
	memcpy(&bytes, options, sizeof(bytes));
	if (bytes < least_bytes || bytes > PLAUSIBLE_BYTES)
		return evri_fail(-EINVAL,
				 "%s options: size is %zu, not sizeof of the struct",
				 what, bytes);
	for (size_t i = known_bytes; i < bytes; i++)
		if (((const char *)options)[i])
			return evri_fail(-E2BIG,
					 "%s options of %zu bytes use a field unknown to "
					 "this library, which knows %zu",
					 what, bytes, known_bytes);
	memcpy(known, options, bytes < known_bytes ? bytes : known_bytes);
	return 0;
}
