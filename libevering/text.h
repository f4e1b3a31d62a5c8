/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERINGI_TEXT_H
#define EVERINGI_TEXT_H

/* text.h - lines of text into a descriptor, a few kilobytes at a time. */

#include "os.h"

struct evri_text {
	int fd;
	int error; /* the first one */
	size_t used;
	char buffer[4096];
};

void evri_say(struct evri_text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void evri_flush(struct evri_text *text);

#endif
