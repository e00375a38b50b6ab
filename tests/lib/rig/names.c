/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into a program, answers its getaddrinfo() for the names in the file $TEST_NAMES, which is read each time, so that a
 * test can change them while the program runs. A line is `NAME fixed ADDRESS...` or, as many name servers do it, `NAME rotated ADDRESS...`:
 * another one comes first each time. All other names are asked of the system. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 8u

typedef int resolver(const char *, const char *, const struct addrinfo *, struct addrinfo **);

static resolver *system_resolver(void)
{
	void *found = dlsym(RTLD_NEXT, "getaddrinfo");
	resolver *function;
	memcpy(&function, &found, sizeof function);
	return function;
}

/* The words of the line of that name; their number. */
static size_t find(const char *name, char *line, size_t size, char *words[MOST + 1])
{
	const char *path = getenv("TEST_NAMES");
	FILE *file = path ? fopen(path, "re") : NULL;
	size_t n = 0;
	while (file && n == 0 && fgets(line, (int)size, file)) {
		char *rest = line, *word = strtok_r(rest, " \n", &rest);
		if (!word || strcmp(word, name) != 0)
			continue;
		while (n <= MOST && (word = strtok_r(NULL, " \n", &rest)) != NULL)
			words[n++] = word;
	}
	if (file)
		fclose(file);
	return n;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **ret_list)
{
	static atomic_uint asked;
	char line[512], *words[MOST + 1];
	size_t n = name ? find(name, line, sizeof line, words) : 0;
	if (n < 2)
		return system_resolver()(name, service, hints, ret_list);
	size_t first = strcmp(words[0], "rotated") == 0 ? atomic_fetch_add(&asked, 1) : 0;
	struct addrinfo hint = hints ? *hints : (struct addrinfo){.ai_family = AF_UNSPEC}, **end = ret_list;
	hint.ai_flags = AI_NUMERICHOST;
	for (size_t i = 0; i + 1 < n; i++) {
		int err = system_resolver()(words[1 + (first + i) % (n - 1)], service, &hint, end);
		if (err)
			return err;
		while (*end)
			end = &(*end)->ai_next;
	}
	return 0;
}
