// The page's beginning: brings its parts together and shows the conversation that the address names.

import { wireCompare } from "./answer/compare.js";
import { Composer } from "./ask/composer.js";
import { wireIntake } from "./ask/intake.js";
import { offerModels, wireModels } from "./ask/model.js";
import { offerReaders, wireReaders } from "./ask/reader.js";
import { offerThinking, wireThinking } from "./ask/thinking.js";
import { watchHealth } from "./frame/health.js";
import { wireKeys } from "./frame/keys.js";
import { wireLook } from "./frame/look.js";
import { wirePageView } from "./pageview.js";
import { wireChips } from "./settings/chips.js";
import { wireDrawer } from "./settings/drawer.js";
import { wireExport } from "./side/export_menu.js";
import { Talk } from "./talk.js";

const talk = new Talk();
const composer = new Composer(talk);
const refreshHealth = watchHealth((queue) => {
  offerReaders(queue.workers);
  // an older service does not tell them apart
  offerModels(queue.models ?? []);
  offerThinking(queue.workers);
});

wireIntake(composer);
wireLook(talk);
wirePageView();
wireCompare();
wireReaders();
wireModels();
wireThinking();
wireDrawer();
wireChips();
wireExport(() => talk.id);
wireKeys(() => {
  composer.resend();
  talk.reopen();
  refreshHealth();
});
talk.open(location.hash.slice(1) || null);
