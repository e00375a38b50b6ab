/* SPDX-License-Identifier: Apache-2.0
 *
 * Searches both halves of QoS 2 exhaustively: every order of packets, writes that become durable, cuts, crashes of our
 * process and losses of the session, for brokers that publish at PUBLISH and at PUBREL, that know identifiers with or
 * without their bytes. Then does single things wrong on purpose: each must be found.
 *
 *   tests/model/qos2        some hundred thousand states, seconds
 *   tests/model/qos2 full   more messages and faults, 3.7 million states, 14.5 million moves, some ten seconds
 */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/model/model.h"

static unsigned n_cases, n_failed;
static uint64_t n_states, n_moves;

static void report(const char *name, const struct search_result *result, bool wrong)
{
	bool good = wrong == (result->broken[0] != '\0');
	n_failed += !good;
	n_states += result->states;
	n_moves += result->moves;
	printf("%sok %u - model: %s: %llu states, %llu moves%s%s\n", good ? "" : "not ", ++n_cases, name,
		(unsigned long long)result->states, (unsigned long long)result->moves, wrong ? ": finds that " : "",
		wrong ? result->broken : "");
	fflush(stdout);
}

static void search_out(const char *name, struct out_options options)
{
	struct search_result result = search_run(&model_out, &options, options.wrong == OUT_RIGHT);
	report(name, &result, options.wrong != OUT_RIGHT);
}

static void search_in(const char *name, struct in_options options)
{
	struct search_result result = search_run(&model_in, &options, options.wrong == IN_RIGHT);
	report(name, &result, options.wrong != IN_RIGHT);
}

static void outwards(bool full)
{
	static const char *const brokers[] = {"publishes at PUBREL", "publishes at PUBLISH",
		"publishes at PUBREL, ids by number", "publishes at PUBLISH, ids by number"};
	char name[128];
	for (unsigned broker = 0; broker < 4; broker++) {
		struct out_options o = {.msgs = full ? 3 : 2, .at_publish = broker & 1, .by_number = broker & 2};
		o.cuts = 2;
		o.crashes = 2;
		o.refusals = 1;
		snprintf(name, sizeof name, "out, %s", brokers[broker]);
		search_out(name, o);
		o.losses = full ? 2 : 1;
		o.refusals = 0;
		o.cuts = o.crashes = full ? 2 : 1;
		o.msgs = 2;
		snprintf(name, sizeof name, "out, %s, sessions lost, resend", brokers[broker]);
		search_out(name, o);
		o.park = true;
		snprintf(name, sizeof name, "out, %s, sessions lost, park", brokers[broker]);
		search_out(name, o);
	}
	for (unsigned broker = 0; broker < 4; broker++) {
		snprintf(name, sizeof name, "out, %s, and takes smaller messages by and by", brokers[broker]);
		search_out(name, (struct out_options){.msgs = full ? 3 : 2,
					 .cuts = 2,
					 .crashes = full ? 2 : 1,
					 .losses = full ? 1 : 0,
					 .at_publish = broker & 1,
					 .by_number = broker & 2,
					 .shrinks = true});
	}
	search_out("out, an identifier of which we know nothing", (struct out_options){.msgs = 2,
									  .cuts = 2,
									  .crashes = full ? 2 : 1,
									  .by_number = true,
									  .stale = true,
									  .at_publish = true});
}

static void inwards(bool full)
{
	for (unsigned same = 0; same <= 1; same++) {
		struct in_options o = {.msgs = 3, .cuts = full ? 3 : 2, .crashes = full ? 3 : 2, .same_bytes = same};
		search_in(same ? "in, messages of the same bytes" : "in", o);
		o.losses = full ? 2 : 1;
		o.cuts = o.crashes = full ? 2 : 1;
		search_in(same ? "in, messages of the same bytes, sessions lost" : "in, sessions lost", o);
	}
	search_in("in, a broker that forgets releases",
		(struct in_options){.msgs = 3, .cuts = full ? 2 : 1, .crashes = 1, .forgets = 1});
}

static void wrong_on_purpose(void)
{
	search_out("wrong: PUBREL before its stage is durable",
		(struct out_options){
			.msgs = 2, .cuts = 1, .crashes = 1, .at_publish = true, .wrong = OUT_STAGE_NOT_DURABLE});
	search_out("wrong: the loss of a session is not journalled",
		(struct out_options){.msgs = 1, .cuts = 1, .crashes = 1, .losses = 1, .wrong = OUT_LOSS_NOT_WRITTEN});
	search_out("wrong: a lost session is taken for a resumed one",
		(struct out_options){.msgs = 1, .losses = 1, .wrong = OUT_LOSS_IGNORED});
	search_out("wrong: given up before that is durable", (struct out_options){.msgs = 1,
								     .cuts = 1,
								     .crashes = 1,
								     .at_publish = true,
								     .shrinks = true,
								     .wrong = OUT_GIVEN_UP_AT_ONCE});
	search_in("wrong: PUBREC before it is durable",
		(struct in_options){.msgs = 2, .crashes = 1, .wrong = IN_PUBREC_NOT_DURABLE});
	search_in("wrong: PUBCOMP before it is durable",
		(struct in_options){.msgs = 2, .crashes = 1, .same_bytes = true, .wrong = IN_PUBCOMP_NOT_DURABLE});
	search_in("wrong: the loss of a session is not told",
		(struct in_options){.msgs = 2, .losses = 1, .same_bytes = true, .wrong = IN_RESET_FORGOTTEN});
	search_in("wrong: identifiers by number alone",
		(struct in_options){.msgs = 2, .cuts = 1, .forgets = 1, .wrong = IN_HASH_IGNORED});
}

int main(int argc, char **argv)
{
	bool full = argc > 1 && strcmp(argv[1], "full") == 0;
	if (argc > 1 && !full) {
		fprintf(stderr, "usage: qos2 [full]\n");
		return 2;
	}
	outwards(full);
	inwards(full);
	wrong_on_purpose();
	printf("1..%u\n# %llu states, %llu moves\n", n_cases, (unsigned long long)n_states,
		(unsigned long long)n_moves);
	return n_failed > 0;
}
