/* SPDX-License-Identifier: Apache-2.0
 *
 * librdkafka's mock cluster as a program of its own, for machines that cannot have an Apache Kafka. It knows produce,
 * fetch and metadata, and keeps the newest 100,000 records of a partition. It is no proof of anything: the tests
 * demand the real one.
 *
 *     mock_kafka TOPIC...      prints host:port; SIGUSR1 takes the broker down, SIGUSR2 brings it back; ends at SIGTERM
 */
#include <signal.h>
#include <stdio.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#define BROKER_ID 1

static int make_topics(rd_kafka_mock_cluster_t *cluster, char **topics)
{
	for (; *topics; topics++) {
		rd_kafka_resp_err_t error = rd_kafka_mock_topic_create(cluster, *topics, 1, 1);
		if (error) {
			fprintf(stderr, "mock_kafka: %s: %s\n", *topics, rd_kafka_err2str(error));
			return 1;
		}
	}
	return 0;
}

/* Until SIGTERM or SIGINT. */
static void obey(rd_kafka_mock_cluster_t *cluster, const sigset_t *signals)
{
	for (;;) {
		int number = 0;
		if (sigwait(signals, &number) != 0 || number == SIGTERM || number == SIGINT)
			return;
		if (number == SIGUSR1)
			rd_kafka_mock_broker_set_down(cluster, BROKER_ID);
		else
			rd_kafka_mock_broker_set_up(cluster, BROKER_ID);
	}
}

int main(int argc, char **argv)
{
	(void)argc;
	/* Before any thread of the library starts, so that all of them inherit the mask. */
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGUSR2);
	sigprocmask(SIG_BLOCK, &signals, NULL);

	char reason[512];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_conf_set(conf, "log_level", "0", NULL, 0); /* it would warn that it has no brokers */
	rd_kafka_t *host = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
	if (!host) {
		fprintf(stderr, "mock_kafka: %s\n", reason);
		return 1;
	}
	rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(host, 1);
	int status = 1;
	if (cluster && make_topics(cluster, argv + 1) == 0) {
		printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
		fflush(stdout);
		obey(cluster, &signals);
		status = 0;
	}
	if (cluster)
		rd_kafka_mock_cluster_destroy(cluster);
	rd_kafka_destroy(host);
	return status;
}
