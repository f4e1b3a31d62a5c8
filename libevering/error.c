/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* error.c - see <evering/error.h>. */

#include <evering/error.h>

#include "internal_error.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

#define DETAIL_BYTES 256

static _Thread_local char detail[DETAIL_BYTES];

struct sentence {
	int error;
	const char *text;
};

static const struct sentence sentences[] = {
	{ 0, "success" },
	{ EAGAIN,
	  "the ring is full or empty right now: try again later, or use the call that "
	  "waits" },
	{ ETIMEDOUT,
	  "the deadline passed before the call could be done: nothing was changed, "
	  "call again with a later deadline" },
	{ EPIPE,
	  "the other side has closed: what it had sent can still be taken, nothing "
	  "more can be sent to it" },
	{ EOWNERDEAD,
	  "a peer died and its state was recovered: the request is back with its "
	  "content intact, submit it again or give it up" },
	{ ENOTRECOVERABLE,
	  "the region cannot be used: its creator died half-way or it is marked "
	  "corrupted; create a new one" },
	{ EUCLEAN,
	  "bytes in shared memory fail validation: a peer has overwritten them; "
	  "detach, and create a new region" },
	{ EPROTO,
	  "layout version or entry size differs from the other side's: run releases "
	  "that share a layout and give both sides the same sizes" },
	{ ENOSPC,
	  "no room in the region, no free block, or no free page on the nodes asked for: "
	  "free blocks, create the region larger or grow it, or ask for other nodes" },
	{ ENOMEM,
	  "the system has no memory or no huge pages for this: ask for less, or raise "
	  "the limit or the huge page pool" },
	{ ECANCELED,
	  "the operation was cancelled before it was done: its result will not come" },
	{ E2BIG,
	  "the options come from a release newer than this library and set a field "
	  "that it does not know: update the library, or leave that field zero" },
	{ EINVAL,
	  "an argument is not allowed: the call's documentation states the bounds" },
	{ ESTALE,
	  "the token was used twice, or its block was freed already: a token travels "
	  "once" },
	{ EPERM,
	  "the block belongs to another participant, a CPU is not one that this thread "
	  "may use, or the system forbids the call: only a block's holder may do this, "
	  "only an allowed CPU can be pinned to, and a container's system call filter "
	  "must allow memory policies" },
	{ EXDEV,
	  "the token is one of another region: use it with the region that it was "
	  "made in" },
	{ EEXIST,
	  "the name is taken already: open what has it, or choose another name" },
	{ ENOENT,
	  "no object has this name, or /proc is not mounted: check the name, and "
	  "mount /proc where regions are attached" },
	{ EBUSY,
	  "another participant holds this role, or the object is in use: wait until "
	  "its holder leaves or dies" },
	{ EMFILE,
	  "all participant or agent records are taken, or the process has too many "
	  "open descriptors: detach some, or create the region with more records" },
	{ EMEDIUMTYPE,
	  "the descriptor is not a region: pass the one that came from the region's "
	  "creator" },
	{ ENODATA,
	  "the region is truncated: its file ends before the memory that its header "
	  "describes; create a new one" },
	{ ENODEV,
	  "this machine has no such CPU or node, or its kernel no pages of the wanted "
	  "size: name one that is there; use 4 KiB pages, or set up huge pages" },
	{ EBADF,
	  "the descriptor is not open, or not open for writing: pass an open one that "
	  "can be read and written" },
	{ EROFS,
	  "the region is attached for reading only: attach with evr_region_attach() to "
	  "take part in it" },
	{ EINTR,
	  "a signal handler interrupted the wait: nothing was changed, call again" },
	{ ERANGE,
	  "a number is not among those that there are: the call's documentation states "
	  "which these are" },
	{ EOVERFLOW, "a size or count does not fit into its field: ask for less" },
	{ EACCES,
	  "the system or a policy does not permit this: check the owner and mode of the "
	  "file, the rights of this process, and whom the other side lets in" },
	{ EFBIG,
	  "the region is larger than this process may make files: raise the limit "
	  "(ulimit -f), or ask for less" },
	{ ENFILE,
	  "the system has too many open files: close some, or raise fs.file-max" },
	{ EIO,
	  "the system transferred only a part of the bytes: treat the other end as "
	  "broken" },
	{ EFAULT,
	  "an address is not mapped: the region was detached already, or the pointer "
	  "is not valid" },
	{ ENOSYS,
	  "this kernel lacks a system call that is needed: Linux 5.14 or newer is "
	  "required" },
	{ EADDRINUSE,
	  "somebody listens at this address, or is about to: connect to it, or choose "
	  "another" },
	{ ECONNREFUSED,
	  "the listener at this address is gone: any member of the region may listen "
	  "there in its place" },
	{ ENXIO,
	  "the listener offers no region of this name: check the name, or wait until "
	  "it is offered" },
	{ ELOOP,
	  "the name is a symbolic link, and none is followed here: use the path that "
	  "it leads to" },
	{ ENAMETOOLONG,
	  "the path is longer than the address of a Unix socket can be: use a shorter "
	  "directory" },
	{ EPROTOTYPE,
	  "the descriptor is not a listening Unix socket for sequenced packets: pass "
	  "one, ListenSequentialPacket= in a socket unit" },
	{ ENOTDIR, "a part of the path is no directory: check the path" },
};

const char *evr_strerror(int error)
{
	size_t i;

	/* The one negative number that has no positive twin. */
	if (error == INT_MIN)
		return "unknown error";
	if (error < 0)
		error = -error;
	for (i = 0; i < sizeof(sentences) / sizeof(sentences[0]); i++) {
		if (sentences[i].error == error)
			return sentences[i].text;
	}
	return "unknown error";
}

const char *evr_error_detail(void)
{
	return detail;
}

void evri_fail_detail(const char *format, ...)
{
	int saved_errno = errno;
	va_list arguments;

	va_start(arguments, format);
	if (vsnprintf(detail, sizeof(detail), format, arguments) < 0)
		detail[0] = '\0';
	va_end(arguments);
	errno = saved_errno;
}
