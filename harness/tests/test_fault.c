/*
 * test_fault.c - when a fault is due, and in which order its parts come.
 */
#include "common/tests/suite.h"
#include "harness/faults/fault.h"

static const struct scenario_fault two[] = {
    {.after = 100, .action = FAULT_KILL, .target = TARGET_BROKER, .hold_ms = 500},
    {.after = 200, .action = FAULT_KILL, .target = TARGET_POSTGRES, .hold_ms = 0},
};

/* With a request on its way. */
static enum injector_action step(struct injector *i, int64_t acks, int64_t now_ms, bool dead,
                                 bool healthy)
{
    struct injector_view view = {.acks = acks,
                                 .in_flight = 1,
                                 .ripe = true,
                                 .now_ms = now_ms,
                                 .hit = dead,
                                 .healthy = healthy};

    return injector_step(i, &view);
}

static int64_t idle(const struct injector *i, int64_t now_ms)
{
    struct injector_view view = {.now_ms = now_ms, .running_ms = now_ms};

    return injector_idle_ms(i, &view);
}

static void test_no_faults(void)
{
    struct injector i;

    injector_init(&i, NULL, 0);
    CU_ASSERT_EQUAL(step(&i, 1000000, 0, true, true), INJECTOR_NOTHING);
    CU_ASSERT_FALSE(injector_busy(&i));
    CU_ASSERT_EQUAL(idle(&i, 0), -1);
}

static void test_waits_for_its_acks(void)
{
    struct injector i;

    injector_init(&i, two, 2);
    CU_ASSERT_EQUAL(step(&i, 99, 0, true, true), INJECTOR_NOTHING);
    CU_ASSERT_FALSE(injector_busy(&i));
    CU_ASSERT_EQUAL(step(&i, 100, 0, false, true), INJECTOR_FREEZE);
    CU_ASSERT_TRUE(injector_busy(&i));
}

/* Nothing on its way: a kill would hit nothing. */
static enum injector_action step_at(struct injector *i, int64_t in_flight, int64_t now_ms)
{
    struct injector_view view = {
        .acks = 150, .in_flight = in_flight, .ripe = true, .now_ms = now_ms};

    return injector_step(i, &view);
}

static void test_waits_for_a_request(void)
{
    struct injector i;

    injector_init(&i, two, 2);
    CU_ASSERT_EQUAL(step_at(&i, 0, 0), INJECTOR_NOTHING);
    CU_ASSERT_EQUAL(step_at(&i, 1, 1000), INJECTOR_FREEZE);
    CU_ASSERT_TRUE(injector_busy(&i));
    CU_ASSERT_EQUAL(step_at(&i, 1, 1000), INJECTOR_NOTHING);
    CU_ASSERT(idle(&i, 1000) > 0);
    /* It had been answered already. */
    CU_ASSERT_EQUAL(step_at(&i, 0, 2000), INJECTOR_THAW);
    CU_ASSERT_FALSE(injector_busy(&i));
    CU_ASSERT_EQUAL(step_at(&i, 0, 2000), INJECTOR_NOTHING);
    /* The next one had not. */
    CU_ASSERT_EQUAL(step_at(&i, 2, 3000), INJECTOR_FREEZE);
    CU_ASSERT_EQUAL(step_at(&i, 1, 4000), INJECTOR_BEGIN);
    CU_ASSERT_EQUAL(i.current, 0);
}

/* Requests are on their way, but what it would hit is not there: again, a little later. */
static void test_waits_until_it_is_ripe(void)
{
    struct injector i;
    struct injector_view view = {.acks = 150, .in_flight = 1, .now_ms = 1000};
    int64_t rests[2];

    injector_init(&i, two, 2);
    for (int try = 0; try < 2; try++) {
        CU_ASSERT_EQUAL(injector_step(&i, &view), INJECTOR_FREEZE);
        view.now_ms += 100;
        CU_ASSERT_EQUAL(injector_step(&i, &view), INJECTOR_THAW);
        CU_ASSERT_FALSE(injector_busy(&i));
        CU_ASSERT_EQUAL(injector_step(&i, &view), INJECTOR_NOTHING);
        rests[try] = injector_idle_ms(&i, &view);
        CU_ASSERT(rests[try] > 0);
        view.now_ms += rests[try];
    }
    CU_ASSERT_NOT_EQUAL(rests[0], rests[1]);
    CU_ASSERT_EQUAL(injector_step(&i, &view), INJECTOR_FREEZE);
    view.now_ms += 100;
    view.ripe = true;
    CU_ASSERT_EQUAL(injector_step(&i, &view), INJECTOR_BEGIN);
}

static void test_one_fault_in_order(void)
{
    struct injector i;

    injector_init(&i, two, 2);
    CU_ASSERT_EQUAL(step(&i, 150, 1000, false, false), INJECTOR_FREEZE);
    CU_ASSERT_EQUAL(step(&i, 150, 2000, false, false), INJECTOR_BEGIN);
    /* Dying: only its death counts. */
    CU_ASSERT_EQUAL(step(&i, 999, 9000, false, true), INJECTOR_NOTHING);
    CU_ASSERT_EQUAL(step(&i, 999, 9000, true, false), INJECTOR_HIT);
    /* Down: from the death on, for hold_ms. */
    CU_ASSERT_EQUAL(idle(&i, 9100), 400);
    CU_ASSERT_EQUAL(step(&i, 999, 9499, true, true), INJECTOR_NOTHING);
    CU_ASSERT_EQUAL(step(&i, 999, 9500, true, true), INJECTOR_UNDO);
    /* Starting: until it answers. */
    CU_ASSERT_EQUAL(idle(&i, 9500), -1);
    CU_ASSERT_EQUAL(step(&i, 999, 99999, true, false), INJECTOR_NOTHING);
    CU_ASSERT_EQUAL(step(&i, 999, 99999, true, true), INJECTOR_END);
    CU_ASSERT_EQUAL(i.current, 1);
    CU_ASSERT_FALSE(injector_busy(&i));
}

/* The second fault's moment passes while the first is under way: it waits its turn. */
static void test_one_at_a_time(void)
{
    struct injector i;

    injector_init(&i, two, 2);
    CU_ASSERT_EQUAL(step(&i, 100, 0, false, false), INJECTOR_FREEZE);
    CU_ASSERT_EQUAL(step(&i, 200, 100, false, false), INJECTOR_BEGIN);
    CU_ASSERT_EQUAL(step(&i, 200, 100, true, false), INJECTOR_HIT);
    CU_ASSERT_EQUAL(step(&i, 200, 600, true, false), INJECTOR_UNDO);
    CU_ASSERT_EQUAL(step(&i, 200, 601, true, true), INJECTOR_END);
    CU_ASSERT_EQUAL(step(&i, 200, 601, true, true), INJECTOR_FREEZE);
    CU_ASSERT_EQUAL(step(&i, 200, 700, true, true), INJECTOR_BEGIN);
    CU_ASSERT_EQUAL(step(&i, 200, 701, true, true), INJECTOR_HIT);
    /* hold_ms is 0: at once. */
    CU_ASSERT_EQUAL(step(&i, 200, 701, true, true), INJECTOR_UNDO);
    CU_ASSERT_EQUAL(step(&i, 200, 702, true, true), INJECTOR_END);
    CU_ASSERT_EQUAL(step(&i, 9999, 999999, true, true), INJECTOR_NOTHING);
    CU_ASSERT_EQUAL(i.current, 2);
}

static const struct scenario_fault others[] = {
    {.when = WHEN_MS,
     .after = 700,
     .action = FAULT_LOCK,
     .target = TARGET_POSTGRES,
     .hold_ms = 300},
    {.after = 200, .action = FAULT_TERMINATE, .target = TARGET_POSTGRES},
};

/* By the clock of the run, which stands until the gate is open; and idle until then. */
static void test_after_ms(void)
{
    struct injector i;
    struct injector_view view = {.in_flight = 1, .running_ms = -1};

    injector_init(&i, others, 2);
    CU_ASSERT_EQUAL(injector_step(&i, &view), INJECTOR_NOTHING);
    CU_ASSERT_EQUAL(injector_idle_ms(&i, &view), -1);
    view.running_ms = 500;
    CU_ASSERT_EQUAL(injector_step(&i, &view), INJECTOR_NOTHING);
    CU_ASSERT_EQUAL(injector_idle_ms(&i, &view), 200);
    view.running_ms = 700;
    CU_ASSERT_EQUAL(injector_step(&i, &view), INJECTOR_BEGIN); /* nothing to freeze */
}

/* A window stays open until it has bitten, but not for ever. */
static void test_window(void)
{
    struct injector i;
    struct injector_view view = {.in_flight = 1, .running_ms = 700};

    for (int bites = 0; bites < 2; bites++) {
        injector_init(&i, others, 2);
        view.hit = false;
        view.bit = 0;
        view.now_ms = 1000;
        CU_ASSERT_EQUAL(injector_step(&i, &view), INJECTOR_BEGIN);
        CU_ASSERT_EQUAL(injector_step(&i, &view), INJECTOR_NOTHING);
        view.hit = true;
        CU_ASSERT_EQUAL(injector_step(&i, &view), INJECTOR_HIT);
        CU_ASSERT_EQUAL(injector_idle_ms(&i, &view), 300);
        view.now_ms = 1300;
        CU_ASSERT_EQUAL(injector_step(&i, &view), INJECTOR_NOTHING);
        CU_ASSERT_EQUAL(injector_idle_ms(&i, &view), -1);
        view.bit = bites;
        view.now_ms = bites ? 1301 : 1300 + WINDOW_MORE_MS;
        CU_ASSERT_EQUAL(injector_step(&i, &view), INJECTOR_UNDO);
        CU_ASSERT_TRUE(injector_busy(&i));
    }
}

/* A moment is over at once, whatever it hit. */
static void test_moment(void)
{
    struct injector i;
    struct injector_view view = {.in_flight = 1, .acks = 200, .hit = true, .healthy = true};

    injector_init(&i, others + 1, 1);
    CU_ASSERT_EQUAL(injector_step(&i, &view), INJECTOR_BEGIN);
    CU_ASSERT_EQUAL(injector_step(&i, &view), INJECTOR_HIT);
    CU_ASSERT_EQUAL(injector_step(&i, &view), INJECTOR_UNDO);
    CU_ASSERT_EQUAL(injector_step(&i, &view), INJECTOR_END);
    CU_ASSERT_EQUAL(i.current, 1);
}

/* It needs no request, and no gate. */
static void test_from_the_start(void)
{
    static const struct scenario_fault crash[] = {
        {.when = WHEN_START, .action = FAULT_CRASH, .target = TARGET_BROKER}};
    struct injector i;
    struct injector_view view = {.running_ms = -1};

    injector_init(&i, crash, 1);
    CU_ASSERT_EQUAL(injector_step(&i, &view), INJECTOR_BEGIN);
}

SUITE("fault", {"a scenario without faults", test_no_faults},
      {"a fault waits for its acks", test_waits_for_its_acks},
      {"a fault waits for a request", test_waits_for_a_request},
      {"a fault waits until it would hit", test_waits_until_it_is_ripe},
      {"kill, hit, restart, end", test_one_fault_in_order}, {"one at a time", test_one_at_a_time},
      {"a moment by the clock", test_after_ms}, {"a window", test_window},
      {"a moment", test_moment}, {"armed from the start", test_from_the_start})
