// The page's beginning: brings its parts together and shows the conversation that the address names.

import { Composer } from "./composer.js";
import { watchHealth } from "./health.js";
import { wireIntake } from "./intake.js";
import { wireKeys } from "./keys.js";
import { wireLook } from "./look.js";
import { wirePageView } from "./pageview.js";
import { offerReaders, wireReaders } from "./reader.js";
import { Talk } from "./talk.js";

const talk = new Talk();
const composer = new Composer(talk);
const refreshHealth = watchHealth(offerReaders);

wireIntake(composer);
wireLook(talk);
wirePageView();
wireReaders();
wireKeys(() => {
  composer.resend();
  talk.reopen();
  refreshHealth();
});
talk.open(location.hash.slice(1) || null);
