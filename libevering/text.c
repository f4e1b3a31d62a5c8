/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* text.c - see text.h. */

#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void evri_flush(struct evri_text *text)
{
	if (text->error == 0)
		text->error = evri_os_write(text->fd, text->buffer, text->used);
	text->used = 0;
}

void evri_say(struct evri_text *text, const char *format, ...)
{
	char line[512];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (length < 0)
		return;
	if ((size_t)length >= sizeof(line))
		length = sizeof(line) - 1;
	if (text->used + (size_t)length > sizeof(text->buffer))
		evri_flush(text);
	memcpy(text->buffer + text->used, line, (size_t)length);
	text->used += (size_t)length;
}
