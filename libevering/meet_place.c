/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * meet_place.c - one listener per path, at any time.
 *
 * A comer makes his socket under a name of his own, with its rights, listening, and then
 * renames it to the path, which fails if there is a file. A file whose socket nobody has
 * open is a dead one's, and must be replaced by exactly one of those who see it. There is
 * no "rename if it is still this file", and a lock could be held by one who is stopped.
 * So there is a claim on each file: a further name, made of the file's identity, that is
 * linked to the claimant's socket.
 *
 *	- Only who holds the claim on a file may rename over it.
 *	- A link fails if the name is there, so a claim has one holder. Whether he lives
 *	  is seen by connecting to it. A dead holder's claim is a dead file again, and
 *	  there is a claim on that: whoever holds the last of the chain is who may.
 *	- The holder looks once more whether the path still is that file. If so it stays
 *	  so until he acts, for nobody else may; if not, the claim is void.
 *	- An identity (device, inode, time of making) does not come back, so neither does
 *	  a file at the path, and a claim is void for good once the path is another file.
 *	  A file system that gives out inode numbers again would have to do so within the
 *	  tick of its clock in which the first was made, lived, died and was replaced.
 *	- Claims are removed by who stands at the path only, which makes them void, or by
 *	  their holder, who gives up.
 *
 * Names: .evr-PATH-tRANDOM for a socket on its way, .evr-PATH-cIDENTITY for a claim, PATH
 * and IDENTITY being hashes.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "meet_internal.h"

#define TRIES_MAX 64
#define CHAIN_MAX 64
#define CLAIMS_MAX 16

#define OWN_PREFIX_BYTES 15 /* ".evr-", 8 digits, "-", NUL */
#define OWN_NAME_BYTES 32   /* the prefix, "t" or "c", 16 digits, NUL */
#define ADDRESS_BYTES 108   /* of a Unix socket */

struct comer {
	const struct evri_meet_place_options *options;
	char directory[ADDRESS_BYTES]; /* with its final slash, or "" */
	const char *base;
	int directory_fd;
	char prefix[OWN_PREFIX_BYTES];
	/* The socket and its present name. */
	int socket_fd;
	char name[OWN_NAME_BYTES];
	struct evri_os_file_id id;
	/* Claims that are links to it. */
	char claims[CLAIMS_MAX][OWN_NAME_BYTES];
	int claims_count;
};

uint64_t evri_meet_hash(const void *data, size_t bytes)
{
	const unsigned char *cursor = data;
	uint64_t value = UINT64_C(0xcbf29ce484222325);

	while (bytes--)
		value = (value ^ *cursor++) * UINT64_C(0x100000001b3);
	return value;
}

static bool same_file(const struct evri_os_file_id *a, const struct evri_os_file_id *b)
{
	return a->device == b->device && a->inode == b->inode && a->made_ns == b->made_ns;
}

/* In the directory's place: an address that connect() and bind() take. */
static void address_of(const struct comer *comer, const char *name,
		       char ret[2 * ADDRESS_BYTES])
{
	snprintf(ret, 2 * ADDRESS_BYTES, "%s%s", comer->directory, name);
}

static void claim_name(const struct comer *comer, const struct evri_os_file_id *on,
		       char ret[OWN_NAME_BYTES])
{
	uint64_t identity[3] = { on->device, on->inode, on->made_ns };

	snprintf(ret, OWN_NAME_BYTES, "%sc%016" PRIx64, comer->prefix,
		 evri_meet_hash(identity, sizeof(identity)));
}

/* ---- the directory ---- */

static int open_directory(struct comer *comer)
{
	const char *path = comer->options->address;
	const char *slash = strrchr(path, '/');
	size_t directory_bytes = slash ? (size_t)(slash + 1 - path) : 0;
	struct evri_os_file_id id;
	int error;

	comer->base = path + directory_bytes;
	if (strlen(path) >= ADDRESS_BYTES ||
	    directory_bytes + OWN_NAME_BYTES > ADDRESS_BYTES)
		return evri_fail(-ENAMETOOLONG,
				 "%s: a socket's path has at most %d bytes, %d of them "
				 "its directory's",
				 path, ADDRESS_BYTES - 1, ADDRESS_BYTES - OWN_NAME_BYTES);
	if (comer->base[0] == '\0' || strcmp(comer->base, ".") == 0 ||
	    strcmp(comer->base, "..") == 0)
		return evri_fail(-EINVAL, "%s: no name of a file", path);
	memcpy(comer->directory, path, directory_bytes);
	comer->directory[directory_bytes] = '\0';
	snprintf(comer->prefix, sizeof(comer->prefix), ".evr-%08x-",
		 (uint32_t)evri_meet_hash(comer->base, strlen(comer->base)));

	error = evri_os_place_open(slash ? comer->directory : ".", &comer->directory_fd);
	if (error == 0)
		error = evri_os_place_identify(comer->directory_fd, "", &id);
	if (error < 0)
		return evri_fail(error, "the directory of %s: %s", path,
				 strerror(-error));
	if (id.mode & 0002 && !(id.mode & 01000))
		return evri_fail(-EACCES,
				 "the directory of %s may be written by everybody and is "
				 "not sticky: anybody could put another socket there",
				 path);
	return 0;
}

/* ---- our socket ---- */

static void give_up_socket(struct comer *comer)
{
	while (comer->claims_count > 0)
		(void)!evri_os_place_unlink(comer->directory_fd,
					    comer->claims[--comer->claims_count]);
	if (comer->socket_fd < 0)
		return;
	(void)!evri_os_place_unlink(comer->directory_fd, comer->name);
	evri_os_fd_close(comer->socket_fd);
	comer->socket_fd = -1;
}

/* -EAGAIN: somebody swept the name up before we listened. */
static int make_socket(struct comer *comer)
{
	const struct evri_meet_place_options *options = comer->options;
	char address[2 * ADDRESS_BYTES];
	uint64_t random;
	int error = evri_os_random(&random, sizeof(random));

	if (error < 0)
		return error;
	snprintf(comer->name, sizeof(comer->name), "%st%016" PRIx64, comer->prefix,
		 random);
	address_of(comer, comer->name, address);
	error = evri_os_socket_bind(address, options->mode, &comer->socket_fd);
	if (error < 0)
		return error == -EADDRINUSE ? -EAGAIN :
					      evri_fail(error, "no socket %s: %s",
							address, strerror(-error));
	error = evri_os_place_set_rights(comer->directory_fd, comer->name, options->mode,
					 options->gid);
	if (error == 0)
		error = evri_os_socket_listen(comer->socket_fd, options->backlog);
	if (error == 0)
		error = evri_os_place_identify(comer->directory_fd, comer->name,
					       &comer->id);
	if (error == 0)
		return 0;
	give_up_socket(comer);
	if (error == -ENOENT)
		return -EAGAIN;
	if (error == -EPERM)
		return evri_fail(error,
				 "socket %s: this process may not give it to group "
				 "%u",
				 options->address, options->gid);
	return evri_fail(error, "socket %s: %s", options->address, strerror(-error));
}

/* ---- whose is what is there ---- */

static int in_use(const struct comer *comer, const struct evri_os_credentials *who,
		  const char *how)
{
	if (who->gid == UINT32_MAX)
		return evri_fail(-EADDRINUSE, "%s: another process %s",
				 comer->options->address, how);
	return evri_fail(-EADDRINUSE, "%s: process %" PRId64 " of uid %u %s",
			 comer->options->address, who->pid, who->uid, how);
}

/*
 * What lies under a name of the directory, when it is a dead socket: 0. -EAGAIN: it
 * changed meanwhile, or is gone. -EADDRINUSE: it lives. Asked for before and after, for a
 * file that was there both times was there in between.
 */
static int identify_dead(const struct comer *comer, const char *name, const char *how,
			 struct evri_os_file_id *ret)
{
	struct evri_os_credentials who;
	struct evri_os_file_id before, after;
	char address[2 * ADDRESS_BYTES];
	int error = evri_os_place_identify(comer->directory_fd, name, &before);

	if (error < 0)
		return error == -ENOENT ? -EAGAIN : error;
	if (before.is_link)
		return evri_fail(-ELOOP, "%s is a symbolic link",
				 comer->options->address);
	if (!before.is_socket)
		return evri_fail(-EEXIST, "%s is there already and no socket",
				 comer->options->address);
	address_of(comer, name, address);
	error = evri_os_socket_probe(address, &who);
	if (error == 0)
		return in_use(comer, &who, how);
	if (error == -ENOENT)
		return -EAGAIN;
	if (error != -ECONNREFUSED)
		return evri_fail(error, "%s of uid %u is there, and cannot be asked: %s",
				 comer->options->address, before.uid, strerror(-error));
	error = evri_os_place_identify(comer->directory_fd, name, &after);
	if (error < 0 || !same_file(&before, &after))
		return error == 0 || error == -ENOENT ? -EAGAIN : error;
	*ret = before;
	return 0;
}

/* Takes the claim on a dead file, or on the last of the dead who held it. */
static int claim(struct comer *comer, const struct evri_os_file_id *dead)
{
	struct evri_os_file_id on = *dead;
	char name[OWN_NAME_BYTES];

	if (comer->claims_count == CLAIMS_MAX)
		return -EBUSY;
	for (int i = 0; i < CHAIN_MAX; i++) {
		struct evri_os_file_id holder;
		int error;

		claim_name(comer, &on, name);
		error = evri_os_place_link(comer->directory_fd, comer->name, name);
		if (error == 0) {
			strcpy(comer->claims[comer->claims_count++], name);
			return 0;
		}
		if (error == -ENOENT)
			return -EAGAIN;
		if (error != -EEXIST)
			return evri_fail(error, "%s: no link beside it: %s",
					 comer->options->address, strerror(-error));
		error = evri_os_place_identify(comer->directory_fd, name, &holder);
		if (error == 0 && same_file(&holder, &comer->id))
			return 0;
		error = identify_dead(comer, name, "is about to listen there", &holder);
		if (error < 0)
			return error;
		on = holder;
	}
	return -EBUSY;
}

static int replace_dead(struct comer *comer)
{
	struct evri_os_file_id dead, now;
	int error = identify_dead(comer, comer->base, "listens there", &dead);

	if (error == 0)
		error = claim(comer, &dead);
	if (error < 0)
		return error;
	error = evri_os_place_identify(comer->directory_fd, comer->base, &now);
	if (error < 0 || !same_file(&now, &dead))
		return error == 0 || error == -ENOENT ? -EAGAIN : error;
	error = evri_os_place_rename_over(comer->directory_fd, comer->name, comer->base);
	if (error == -ENOENT)
		return -EAGAIN;
	if (error < 0)
		return evri_fail(error == -EPERM ? -EACCES : error,
				 "%s is a dead listener's of uid %u and cannot be "
				 "replaced: %s",
				 comer->options->address, dead.uid, strerror(-error));
	return 0;
}

/* ---- afterwards ---- */

/* We stand at the path: every claim on another file is void, there is none on ours, and
 * who is dead needs his names no more. One who lives and has not listened yet makes
 * himself a new name. */
static void sweep_one(void *context, const char *name)
{
	struct comer *comer = context;
	struct evri_os_file_id id;
	char address[2 * ADDRESS_BYTES];
	struct evri_os_credentials who;

	if (strlen(name) >= OWN_NAME_BYTES ||
	    evri_os_place_identify(comer->directory_fd, name, &id) < 0 || !id.is_socket)
		return;
	address_of(comer, name, address);
	if (same_file(&id, &comer->id) ||
	    evri_os_socket_probe(address, &who) == -ECONNREFUSED)
		(void)!evri_os_place_unlink(comer->directory_fd, name);
}

static int take_path(struct comer *comer)
{
	int error = open_directory(comer);

	for (int i = 0; i < TRIES_MAX && error == 0; i++) {
		if (comer->socket_fd < 0)
			error = make_socket(comer);
		if (error == 0)
			error = evri_os_place_rename(comer->directory_fd, comer->name,
						     comer->base);
		if (error == -EEXIST)
			error = replace_dead(comer);
		if (error == 0)
			return 0;
		/* The name was swept up, or the path is another file now. */
		if (error == -ENOENT)
			error = -EAGAIN;
		if (error == -EAGAIN) {
			struct evri_os_file_id id;

			if (comer->socket_fd >= 0 &&
			    evri_os_place_identify(comer->directory_fd, comer->name,
						   &id) < 0)
				give_up_socket(comer);
			error = 0;
		} else if (error == -EPERM) {
			error = -EACCES;
		}
	}
	return error < 0 ? error : -EBUSY;
}

static int take_abstract(const struct evri_meet_place_options *options,
			 struct evri_meet_place *ret)
{
	struct evri_os_credentials who;
	int fd;
	int error = evri_os_socket_bind(options->address, options->mode, &fd);

	if (error == 0) {
		error = evri_os_socket_listen(fd, options->backlog);
		if (error < 0)
			evri_os_fd_close(fd);
	}
	if (error == -EADDRINUSE && evri_os_socket_probe(options->address, &who) == 0 &&
	    who.gid != UINT32_MAX)
		return evri_fail(error, "%s: process %" PRId64 " of uid %u listens there",
				 options->address, who.pid, who.uid);
	if (error < 0)
		return evri_fail(error, "%s: %s", options->address, strerror(-error));
	*ret = (struct evri_meet_place){ .socket_fd = fd, .directory_fd = -1 };
	return 0;
}

int evri_meet_place_take(const struct evri_meet_place_options *options,
			 struct evri_meet_place *ret)
{
	struct comer comer = { .options = options, .directory_fd = -1, .socket_fd = -1 };
	int error;

	if (options->address[0] == '@')
		return take_abstract(options, ret);
	error = take_path(&comer);
	if (error < 0) {
		if (comer.directory_fd >= 0)
			give_up_socket(&comer);
		evri_os_fd_close(comer.directory_fd);
		if (error == -EBUSY)
			evri_fail_detail("%s: others came and went %d times meanwhile",
					 options->address, TRIES_MAX);
		return error;
	}
	/* Without the right to read the directory it stays as it is. */
	(void)!evri_os_place_list(comer.directory_fd, comer.prefix, sweep_one, &comer);
	*ret = (struct evri_meet_place){ .socket_fd = comer.socket_fd,
					 .directory_fd = comer.directory_fd,
					 .id = comer.id };
	snprintf(ret->base, sizeof(ret->base), "%s", comer.base);
	return 0;
}

void evri_meet_place_leave(struct evri_meet_place *place, bool unlink)
{
	struct evri_os_file_id id;

	/* While our socket is open nobody replaces the file: first the name, then it. */
	if (unlink && place->directory_fd >= 0 &&
	    evri_os_place_identify(place->directory_fd, place->base, &id) == 0 &&
	    same_file(&id, &place->id))
		(void)!evri_os_place_unlink(place->directory_fd, place->base);
	evri_os_fd_close(place->directory_fd);
	evri_os_fd_close(place->socket_fd);
}
