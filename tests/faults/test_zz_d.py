import os, pytest
from support.histories import History
import support.histories as h
pytestmark = pytest.mark.postgres
async def test_x(notify_database, clock):
    hist=History(notify_database, clock, 1545)
    orig=hist._check_first_news
    def chk(cid, claim):
        n=len(hist.problems); orig(cid, claim)
        print('CLAIM', clock.now(), claim.delivery_id, type(claim.message).__name__, [(str(a)[-5:],x.type.name) for a,x in h.news_in(claim)], 'retry', claim.retry_count, 'PROBLEM' if len(hist.problems)>n else '')
    hist._check_first_news=chk
    osettle=hist._settle
    async def settle():
        print('settle', [ (c.delivery_id, r.outcome.name) for _,c,r in hist.under_way]); await osettle()
    hist._settle=settle
    await hist.run()
    print([ (s.silence_id, s.start_time, s.end_time, k) for s,k in hist.active], [(x.number,x.key) for x in hist.subjects])
    for r in await hist.ground.rows("select d.delivery_id, d.channel_id, i.revision, i.type, d.state, d.reason, d.held_by, d.create_time, d.settle_time, d.carried_by, d.told_as from deliveries d join inbox_events i using(event_id) order by d.sequence"): print(*map(str,r))
    for r in await hist.ground.rows("select time, channel_id, reason, by_id, until_time from decisions order by 1"): print(*map(str,r))
