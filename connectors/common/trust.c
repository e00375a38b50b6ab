/* SPDX-License-Identifier: Apache-2.0
 *
 * A few files, each with what it looked like before it was parsed: a change meanwhile is seen the next time. Those that
 * nobody has asked for the longest make way, which also ends what a former configuration named.
 */
#define _GNU_SOURCE /* secure_getenv */
#include "connectors/common/trust.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#define MOST_FILES 16

struct stamp {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified, changed;
};

struct parsed {
	char *path; /* NULL: a free place */
	struct stamp stamp;
	X509_STORE *store; /* never handed out, never changed: it can be read without a lock */
	uint64_t used; /* of `uses` */
};

static struct {
	pthread_mutex_t lock; /* guards all that follows; held for instructions alone */
	struct parsed files[MOST_FILES];
	uint64_t uses, parses;
} trust = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* --- what has changed ----------------------------------------------------------------------------------------------- */

static bool stamp_take(const char *path, struct stamp *ret_stamp)
{
	struct stat found;
	if (stat(path, &found) < 0)
		return false;
	*ret_stamp = (struct stamp){found.st_dev, found.st_ino, found.st_size, found.st_mtim, found.st_ctim};
	return true;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* The time of change too: tools that keep the time of modification cannot keep that one. */
static bool stamp_same(const struct stamp *a, const struct stamp *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       same_time(&a->modified, &b->modified) && same_time(&a->changed, &b->changed);
}

/* --- what is kept; with the lock ------------------------------------------------------------------------------------ */

static struct parsed *trust_find(const char *path)
{
	for (struct parsed *file = trust.files; file < trust.files + MOST_FILES; file++)
		if (file->path && strcmp(file->path, path) == 0)
			return file;
	return NULL;
}

/* The file's own place, or a free one, or the one that was used the longest ago. */
static struct parsed *trust_place(const char *path)
{
	struct parsed *oldest = trust_find(path);
	for (struct parsed *file = trust.files; file < trust.files + MOST_FILES && !oldest; file++)
		if (!file->path)
			oldest = file;
	if (oldest)
		return oldest;
	oldest = trust.files;
	for (struct parsed *file = trust.files; file < trust.files + MOST_FILES; file++)
		if (file->used < oldest->used)
			oldest = file;
	return oldest;
}

/* --- and the calls that take it ------------------------------------------------------------------------------------- */

/* A reference that is the caller's, or NULL. */
static X509_STORE *trust_recall(const char *path, const struct stamp *stamp)
{
	X509_STORE *store = NULL;
	pthread_mutex_lock(&trust.lock);
	struct parsed *file = trust_find(path);
	if (file && stamp_same(&file->stamp, stamp) && X509_STORE_up_ref(file->store) == 1) {
		file->used = ++trust.uses;
		store = file->store;
	}
	pthread_mutex_unlock(&trust.lock);
	return store;
}

static void parsed_free(struct parsed *file)
{
	free(file->path);
	X509_STORE_free(file->store);
}

/* Two threads may have parsed the same file: either result is as good. Without memory it is parsed again next time. */
static void trust_keep(const char *path, const struct stamp *stamp, X509_STORE *store)
{
	struct parsed old, file = {.path = strdup(path), .stamp = *stamp, .store = store};
	if (!file.path || X509_STORE_up_ref(store) != 1) {
		free(file.path);
		return;
	}
	pthread_mutex_lock(&trust.lock);
	struct parsed *place = trust_place(path);
	old = *place;
	file.used = ++trust.uses;
	*place = file;
	pthread_mutex_unlock(&trust.lock);
	parsed_free(&old);
}

static void trust_forget(const char *path)
{
	struct parsed old = {0};
	pthread_mutex_lock(&trust.lock);
	struct parsed *file = trust_find(path);
	if (file) {
		old = *file;
		*file = (struct parsed){0};
	}
	pthread_mutex_unlock(&trust.lock);
	parsed_free(&old);
}

/* --- parsing -------------------------------------------------------------------------------------------------------- */

static X509_STORE *trust_parse(const char *path)
{
	X509_STORE *store = X509_STORE_new();
	pthread_mutex_lock(&trust.lock);
	trust.parses++;
	pthread_mutex_unlock(&trust.lock);
	if (store && X509_STORE_load_file(store, path) == 1)
		return store;
	X509_STORE_free(store);
	return NULL;
}

/* The caller's reference to what the file holds; NULL: see OpenSSL's errors. */
static X509_STORE *trust_load(const char *path)
{
	struct stamp stamp = {.size = 0};
	bool there = stamp_take(path, &stamp);
	X509_STORE *store = there ? trust_recall(path, &stamp) : NULL;
	if (store)
		return store;
	store = trust_parse(path); /* also if it is not there: OpenSSL says so in its own words */
	if (store && there)
		trust_keep(path, &stamp, store);
	else
		trust_forget(path);
	return store;
}

static bool trust_copy(const X509_STORE *from, X509_STORE *store)
{
	STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(from);
	for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
		X509_OBJECT *object = sk_X509_OBJECT_value(objects, i);
		X509 *cert = X509_OBJECT_get0_X509(object);
		X509_CRL *crl = X509_OBJECT_get0_X509_CRL(object);
		if ((cert && X509_STORE_add_cert(store, cert) != 1) || (crl && X509_STORE_add_crl(store, crl) != 1))
			return false;
	}
	return true;
}

static int trust_add_file(const char *path, X509_STORE *store)
{
	X509_STORE *parsed = trust_load(path);
	int r = parsed && trust_copy(parsed, store) ? 0 : -EINVAL;
	X509_STORE_free(parsed);
	return r;
}

/* --- the system's --------------------------------------------------------------------------------------------------- */

/* OpenSSL too does not heed the environment of a program that runs with more rights than its caller has. */
static const char *system_file(void)
{
	const char *path = secure_getenv(X509_get_default_cert_file_env());
	return path ? path : X509_get_default_cert_file();
}

/* Nothing of it is parsed until a certificate is missed. It need not be there, so that only memory can fail. */
static bool trust_add_folder(X509_STORE *store)
{
	X509_LOOKUP *hashed = X509_STORE_add_lookup(store, X509_LOOKUP_hash_dir());
	X509_LOOKUP *any = X509_STORE_add_lookup(store, X509_LOOKUP_store());
	if (!hashed || !any)
		return false;
	X509_LOOKUP_add_dir(hashed, NULL, X509_FILETYPE_DEFAULT);
	X509_LOOKUP_add_store(any, NULL);
	return true;
}

static int trust_add_system(X509_STORE *store)
{
	ERR_set_mark();
	int r = trust_add_file(system_file(), store);
	(void)r; /* a system without that file has the folder, or trusts nobody */
	bool good = trust_add_folder(store);
	if (good)
		ERR_pop_to_mark();
	else
		ERR_clear_last_mark();
	return good ? 0 : -EINVAL;
}

int trust_add(const char *path, X509_STORE *store)
{
	return path ? trust_add_file(path, store) : trust_add_system(store);
}

void trust_prepare(const char *path)
{
	ERR_set_mark();
	X509_STORE_free(trust_load(path ? path : system_file()));
	ERR_pop_to_mark();
}

uint64_t trust_parses(void)
{
	pthread_mutex_lock(&trust.lock);
	uint64_t parses = trust.parses;
	pthread_mutex_unlock(&trust.lock);
	return parses;
}
