/* SPDX-License-Identifier: Apache-2.0
 *
 * Links as they are written and as they are asked for.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "connectors/coap/link_format.h"
#include "tests/unit/tap.h"

static struct link_format_link link_of(const char *path, const char *rt, const char *title, int ct, bool observable)
{
	return (struct link_format_link){.path = slice_str(path),
		.rt = slice_str(rt),
		.title = slice_str(title),
		.content_format = ct,
		.observable = observable};
}

static bool written(const struct link_format_link *link, const char *text)
{
	struct buffer out;
	buffer_init(&out, 4096);
	CU_ASSERT_EQUAL(link_format_append(&out, link), 0);
	bool same = slice_equal(buffer_slice(&out), slice_str(text));
	if (!same)
		printf("# %.*s\n", (int)out.len, (const char *)out.data);
	buffer_free(&out);
	return same;
}

static void writes_links(void)
{
	struct link_format_link link = link_of("/a/b", NULL, NULL, -1, false);
	CU_ASSERT(written(&link, "</a/b>"));
	link = link_of("/", "", "", -1, true);
	CU_ASSERT(written(&link, "</>;obs"));
	link = link_of("/s/\xc3\xa4 1,2;<>", "temperature-c core.s", "A \"title\" \\ \xc3\xa4", 0, true);
	CU_ASSERT(written(&link, "</s/%C3%A4%201,2;%3C%3E>;rt=\"temperature-c core.s\";ct=0;obs;"
				 "title=\"A \\\"title\\\" \\\\ \xc3\xa4\""));
	link = link_of("/a/", "x", NULL, 65535, false);
	CU_ASSERT(written(&link, "</a/>;rt=\"x\";ct=65535"));
	link = link_of("//", NULL, NULL, -1, false);
	CU_ASSERT(written(&link, "<//>"));
}

static void writes_lists(void)
{
	struct buffer out;
	struct link_format_link link = link_of("/a", "x", NULL, -1, false);
	buffer_init(&out, 40);
	CU_ASSERT_EQUAL(link_format_append(&out, &link), 0);
	link.path = slice_str("/b");
	CU_ASSERT_EQUAL(link_format_append(&out, &link), 0);
	CU_ASSERT(slice_equal(buffer_slice(&out), slice_str("</a>;rt=\"x\",</b>;rt=\"x\"")));
	/* One that has no room leaves no half behind. */
	link.path = slice_str("/c/something");
	for (size_t limit = 24; limit < 24 + 22; limit++) {
		out.limit = limit;
		CU_ASSERT_EQUAL(link_format_append(&out, &link), -ENOBUFS);
		CU_ASSERT_EQUAL(out.len, 23);
	}
	out.limit = 2000;
	CU_ASSERT_EQUAL(link_format_append(&out, &link), 0);
	buffer_free(&out);
}

static void refuses_what_would_break_the_list(void)
{
	static const char *const bad_rt[] = {" ", " a", "a ", "a  b", "a\"", "a\\", "a<", "\xc3\xa4", "a\t", "a\x7f"};
	static const char *const good_rt[] = {"", "a", "a b c", "oic.d.sensor", "http://example/x?y=z#w", "a,b;c"};
	struct buffer out;
	buffer_init(&out, 100);
	for (size_t i = 0; i < sizeof bad_rt / sizeof bad_rt[0]; i++) {
		struct link_format_link link = link_of("/a", bad_rt[i], NULL, -1, false);
		CU_ASSERT_PTR_NOT_NULL(link_format_check_rt(slice_str(bad_rt[i])));
		CU_ASSERT_EQUAL(link_format_append(&out, &link), -EINVAL);
	}
	for (size_t i = 0; i < sizeof good_rt / sizeof good_rt[0]; i++)
		CU_ASSERT_PTR_NULL(link_format_check_rt(slice_str(good_rt[i])));
	CU_ASSERT_PTR_NULL(link_format_check_title(slice_str("any \"text\", \xc3\xa4")));
	CU_ASSERT_PTR_NOT_NULL(link_format_check_title(slice_str("\xff")));
	CU_ASSERT_PTR_NOT_NULL(link_format_check_title(slice_str("a\nb")));
	struct link_format_link link = link_of("a", NULL, NULL, -1, false);
	CU_ASSERT_EQUAL(link_format_append(&out, &link), -EINVAL);
	link = link_of("", NULL, NULL, -1, false);
	CU_ASSERT_EQUAL(link_format_append(&out, &link), -EINVAL);
	CU_ASSERT(!link_format_matches(&link, slice_str("href=*")));
	CU_ASSERT_EQUAL(out.len, 0);
	buffer_free(&out);
}

static void finds_links(void)
{
	static const struct {
		const char *query;
		bool found;
	} queries[] = {
		{"rt=temperature-c", true},
		{"rt=core.s", true},
		{"rt=core", false},
		{"rt=core*", true},
		{"rt=*", true},
		{"rt=temperature-c core.s", false},
		{"rt=s", false},
		{"rt=", false},
		{"RT=core.s", false},
		{"rt", true},
		{"href=/s/%C3%A4", true},
		{"href=/s/\xc3\xa4", true},
		{"href=/s/*", true},
		{"href=/s", false},
		{"href=/t*", false},
		{"href=*", true},
		{"href=/s/%C3%A4*", true},
		{"ct=40", true},
		{"ct=4", false},
		{"ct=4*", true},
		{"ct=400", false},
		{"title=My title", true},
		{"title=My*", true},
		{"title=title", false},
		{"obs", true},
		{"obs=1", false},
		{"if=x", false},
		{"", false},
		{"=", false},
		{"*", false},
		{"sz", false},
		{"href", true},
	};
	struct link_format_link link = link_of("/s/\xc3\xa4", "temperature-c core.s", "My title", 40, true);
	for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++)
		CU_ASSERT_EQUAL(link_format_matches(&link, slice_str(queries[i].query)), queries[i].found);
	link = link_of("/s", NULL, NULL, -1, false);
	static const char *const attributes[] = {"rt", "rt=*", "ct", "ct=*", "obs", "title", "title=*"};
	for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++)
		CU_ASSERT(!link_format_matches(&link, slice_str(attributes[i])));
	CU_ASSERT(!link_format_matches(&link, (struct slice){NULL, 0}));
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"links are written", writes_links},
		{"lists have commas and a limit", writes_lists},
		{"what would break the list is refused", refuses_what_would_break_the_list},
		{"links are found by their attributes", finds_links},
		{NULL, NULL},
	};
	return tap_main("coap link format", tests);
}
