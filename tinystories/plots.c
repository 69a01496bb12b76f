/* plots: the sentences of the story world and the order they come in.
 *
 * A rule is a list of alternatives between bars; "3*" before one gives it the weight 3. In an alternative
 *
 *     {rule}           stands for one of the rule's alternatives
 *     {reg=rule}       the same, and the register remembers which: {reg} tells it again
 *     {reg:=rule}      remembers without telling
 *     {he} {him} {his} {himself}      the pronoun of the hero; {friend.he} of another register
 *     {a}              "a" or "an", as the next letter asks
 *     {Reg} {He} {A}   with a capital
 *
 * A draw never repeats the word that a register of the same rule holds: a second rabbit is another animal. A rule whose
 * alternatives end sentences holds whole sentences; every other rule holds a part of one.
 *
 * A plot is a problem and the way out of it. All problems hand three phrases to the shared sentences: goal (to …), plea
 * (what the hero says), win (what is true in the end); so plots share sentences, as stories do.
 */
#include "world.h"

const RuleText world_plots[] = {
    {"story", "{begin}\n\n{day} {problem=problems}\n\n{ending}"},

    /* ---- the hero ---- */
    {"begin",
     "{open} {habit}|{open} {had}|{open} {trait}"},
    {"who",
     "2*{nature} {kind=k_girl} named {hero=girl}|2*{nature} {kind=k_boy} named {hero=boy}|"
     "2*{nature} {kind=animal} named {hero=petshe}|2*{nature} {kind=animal} named {hero=pethe}"},
    {"k_girl", "girl"},
    {"k_boy", "boy"},
    {"open",
     "3*Once upon a time, there was {a} {who}.|2*Once upon a time, {near}, there lived {a} {who}.|"
     "2*Once there was {a} {who} who lived {where}.|2*In {a} {landadj} {land} lived {a} {who}.|"
     "{A} {who} lived in {a} {houseadj} {house} {where}."},
    {"trait",
     "{He} was the {most} {kind} in the {land}.|{hero} was always {happy} and {look}.|{hero} was {look} and never {sad}."},
    {"habit",
     "3*{hero} loved to {x=activity} and {activity}.|2*{He} liked to {activity} with {his} {family}.|"
     "2*{He} loved {fadj} {x=foods}, {fadj} {foods} and {drink}.|2*{He} liked to {activity} {where}."},
    {"had",
     "{He} had {a} {color} {x=cloth} and {a} {color} {cloth}.|{He} lived with {creature} and {creature}.|"
     "{His} friend was {a} {aadj} {animal} who lived {where}.|{He} always wore {a} {color} {cloth}."},
    {"family", "{fam=famshe}|{fam=famhe}"},
    {"kin", "{relative=famshe}|{relative=famhe}"},

    /* ---- the day ---- */
    {"day",
     "{setout} {scene}|{setout} {scene} {more}"},
    {"setout",
     "2*One {weather} {time}, {hero} {went} to the {place=places} with {his} {family}.|"
     "3*One {weather} {time}, {hero} put on {his} {color} {cloth} and {went} to the {place=places}.|"
     "One {weather} {time}, {hero} {went} to the {place=places} to {activity}.|"
     "2*One {weather} {time}, {hero} packed {fadj} {x=foods} and {fadj} {foods} and {went} to the {place=places}."},
    {"scene",
     "3*{He} saw {sight} and {sight} {where}.|2*{He} saw {sight}, {sight} and {sight}.|2*{A} {aadj} {animal} was {doing} {where}.|"
     "2*{Number} {aadj} {animals} were {doing} {where}.|It smelled of {x=smell} and {smell}."},
    {"sight",
     "5*{creature}|{a} {color} {flowers}"},

    /* ---- the problems ---- */
    {"problems",
     "{p_lost}|{p_stuck}|{p_broken}|{p_share}|{p_alone}|{p_way}|{p_storm}|{p_hungry}|{p_noise}|{p_learn}|{p_spill}|{p_trap}|{p_contest}|"
     "{p_build}|{p_gift}|{p_box}|{p_river}|{p_heavy}|{p_flower}|{p_thief}"},
    {"athing", "{a} {thingadj} {thing=toy}"},
    {"histhing", "{his} {thingadj} {thing=toy}"},
    {"where",
     "{prep} the {spotadj} {spot}"},

    {"p_lost", "{goal:=g_lost}{plea:=q_lost}{win:=w_lost}{i_lost} {upset}\n\n{meet} {fix=fix_find}"},
    {"i_lost", "{hero} put {histhing} {where} to {activity}, but when {he} came back, the {thing} was gone.|{hero} had {histhing} in {his} "
               "{bag}, but when {he} looked for it, the {thing} was gone."},
    {"g_lost", "find the {thing}"},
    {"q_lost",
     "I lost my {thing}"},
    {"w_lost", "they found the {thing} {where}"},

    {"p_stuck", "{goal:=g_stuck}{plea:=q_stuck}{win:=w_stuck}{i_stuck} {upset}\n\n{meet} {fix=fix_tool}"},
    {"i_stuck", "{hero} threw {histhing} up high, and it got stuck in {a} {tree=trees} tree.|{A} {aadj} {animal} took {histhing} for fun and "
                "dropped it in {a} {tree=trees} tree."},
    {"g_stuck", "get the {thing} down"},
    {"q_stuck",
     "My {thing} is stuck in the tree"},
    {"w_stuck",
     "the {thing} came down"},

    {"p_broken", "{goal:=g_broken}{plea:=q_broken}{win:=w_broken}{i_broken} {upset}\n\n{meet} {fix=fix_tool}"},
    {"i_broken", "{hero} was playing with {histhing} {where} when {he} fell, and the {thing} broke.|{hero} dropped {histhing} {where}, and "
                 "the {thing} broke into {number} pieces."},
    {"g_broken", "fix the {thing}"},
    {"q_broken",
     "My {thing} is broken"},
    {"w_broken", "the {thing} was as good as new"},

    {"stranger", "{a} {look} girl named {friend=girl}|{a} {look} boy named {friend=boy}|{a} {look} {animal} named {friend=petshe}|{a} {look} "
                 "{animal} named {friend=pethe}"},
    {"p_share", "{goal:=g_share}{plea:=q_share}{win:=w_share}{i_share} {upset}\n\n{meet} {fix=fix_heart}"},
    {"i_share", "There {he} met {stranger} who had {athing}, but {friend} did not want to share the {thing}.|{hero} had {athing}, and "
                "{stranger} wanted to have the {thing} too."},
    {"g_share", "share the {thing}"},
    {"q_share",
     "We both want the {thing}"},
    {"w_share", "{hero} and {friend} played with the {thing} together"},

    {"p_alone", "{goal:=g_alone}{plea:=q_alone}{win:=w_alone}{i_alone} {upset}\n\n{meet} {fix=fix_heart}"},
    {"i_alone", "There {he} met {stranger} who sat all alone {where}.|{A} {look} {animal} told {him} about {stranger} who had no friends."},
    {"g_alone", "make {friend} smile"},
    {"q_alone",
     "{friend} has no friends"},
    {"w_alone", "{friend} had a big smile"},

    {"p_way", "{goal:=g_way}{plea:=q_way}{win:=w_way}{i_way} {upset}\n\n{meet} {fix=fix_find}"},
    {"i_way", "{hero} followed {sight} for a long time, and soon {he} did not know the way home.|{hero} went too far to {activity}, and soon "
              "{he} did not know the way home."},
    {"g_way", "find the way home"},
    {"q_way",
     "I lost my way"},
    {"w_way", "they saw the {color} roof of the house"},

    {"p_storm", "{goal:=g_storm}{plea:=q_storm}{win:=w_storm}{i_storm} {upset}\n\n{meet} {fix=fix_heart}"},
    {"i_storm", "Then a dark cloud covered the {place}, and it began to rain on {his} {color} {cloth}.|Then a cold wind blew over the "
                "{place}, and {his} {color} {cloth} was wet from the rain."},
    {"g_storm", "stay warm and dry"},
    {"q_storm",
     "I am cold and wet"},
    {"w_storm", "they were warm and dry {where}"},

    {"p_hungry", "{goal:=g_hungry}{plea:=q_hungry}{win:=w_hungry}{i_hungry} {upset}\n\n{meet} {fix=fix_find}"},
    {"i_hungry", "{hero} wanted to eat {his} {food=foods}, but {a} {aadj} {animal} ate everything.|{hero} looked for the {food=foods} in {his} {bag}, "
                 "but there was nothing to eat."},
    {"g_hungry", "find something to eat"},
    {"q_hungry",
     "I have no {food}"},
    {"w_hungry", "there was enough {fadj} {foods} and {drink} for everybody"},

    {"p_noise", "{goal:=g_noise}{plea:=q_noise}{win:=w_noise}{i_noise} {upset}\n\n{meet} {fix=fix_find}"},
    {"i_noise", "Then {he} heard {a} {loud} {noise=noiseword} {where}.|Suddenly, there was {a} {loud} {noise=noiseword} {where}."},
    {"g_noise", "find out what made the {noise}"},
    {"q_noise", "I am afraid of the {noise}"},
    {"w_noise", "they saw that it was only {a} {aadj} {animal}"},

    {"p_learn", "{goal:=g_learn}{plea:=q_learn}{win:=w_learn}{i_learn} {upset}\n\n{meet} {fix=fix_try}"},
    {"i_learn", "{hero} saw {sight} and wanted to {skill=skills} too, but {he} did not know how to {skill}.|Everybody at the {place} could "
                "{skill=skills}, but {hero} did not know how to {skill}."},
    {"g_learn", "learn to {skill}"},
    {"q_learn",
     "I cannot {skill}"},
    {"w_learn", "{hero} could {skill} without any help"},

    {"p_spill", "{goal:=g_spill}{plea:=q_spill}{win:=w_spill}{i_spill} {upset}\n\n{meet} {fix=fix_tool}"},
    {"i_spill", "{hero} bumped into {a} {stand}, and all the {food=foods} fell on the ground.|{hero} wanted to carry the {food=foods} to the "
                "{stand}, but all the {food} fell on the ground."},
    {"g_spill", "clean up the {food}"},
    {"q_spill", "I dropped all the {food}"},
    {"w_spill", "the ground was clean again"},

    {"p_trap", "{goal:=g_trap}{plea:=q_trap}{win:=w_trap}{i_trap} {upset}\n\n{meet} {fix=fix_tool}"},
    {"i_trap", "Then {he} saw {a} {aadj} {baby=animal} that was stuck {trap=trapped}.|{A} {aadj} {baby=animal} called for help because it was "
               "stuck {trap=trapped}."},
    {"g_trap", "free the {baby}"},
    {"q_trap", "The {baby} is stuck {trap}"},
    {"w_trap", "the {baby} was free again"},

    {"p_contest", "{goal:=g_contest}{plea:=q_contest}{win:=w_contest}{i_contest} {upset}\n\n{meet} {fix=fix_try}"},
    {"i_contest", "There was {a} {contest=contests} that day, and the prize was {athing}.|{hero} wanted to win {athing} in the "
                  "{contest=contests}, but it was too {hard}."},
    {"g_contest", "win the {contest}"},
    {"q_contest",
     "I am too {sad} to win"},
    {"w_contest",
     "{hero} won the {thing}"},

    {"p_build", "{goal:=g_build}{plea:=q_build}{win:=w_build}{i_build} {upset}\n\n{meet} {fix=fix_try}"},
    {"i_build", "{hero} wanted to build {a} {building=buildings} with {material}, but the {building} fell down.|{hero} and {his} {family} made "
                "{a} {building=buildings} with {material}, but the {building} fell down."},
    {"g_build", "build the {building}"},
    {"q_build", "My {building} fell down"},
    {"w_build", "the {building} was big and strong"},

    {"p_gift", "{goal:=g_gift}{plea:=q_gift}{win:=w_gift}{i_gift} {upset}\n\n{meet} {fix=fix_try}"},
    {"i_gift", "It was the birthday of {his} {family}, and {hero} wanted to make {a} {craft=crafts}, but it was too {hard}.|{hero} wanted to "
               "make {a} {color} {craft=crafts} for {his} {family}, but it was too {hard}."},
    {"g_gift", "make the {craft}"},
    {"q_gift",
     "I cannot make {a} {craft}"},
    {"w_gift", "the {craft} was ready for {his} {fam}"},

    {"p_box", "{goal:=g_box}{plea:=q_box}{win:=w_box}{i_box} {upset}\n\n{meet} {fix=fix_tool}"},
    {"i_box", "Then {he} found {a} {tooladj} {box=boxword} {where}, but the {box} did not open.|{hero} put {histhing} in {a} {box=boxword}, "
              "but then the {box} did not open."},
    {"g_box", "open the {box}"},
    {"q_box", "I cannot open the {box}"},
    {"w_box", "the {box} was open"},

    {"p_river", "{goal:=g_river}{plea:=q_river}{win:=w_river}{i_river} {upset}\n\n{meet} {fix=fix_tool}"},
    {"i_river", "{hero} wanted to {activity} on the other side of the river, but the bridge was broken.|Then {he} saw {sight} on the other "
                "side of the river, but the bridge was broken."},
    {"g_river", "cross the river"},
    {"q_river", "I cannot cross the river"},
    {"w_river", "they were on the other side of the river"},

    {"p_heavy", "{goal:=g_heavy}{plea:=q_heavy}{win:=w_heavy}{i_heavy} {upset}\n\n{meet} {fix=fix_tool}"},
    {"i_heavy", "Then {he} found {a} {huge} {load=heavy} {where}, but it was too heavy for {him}.|{hero} wanted to take {a} {huge} {load=heavy} "
                "home to {his} {family}, but it was too heavy for {him}."},
    {"g_heavy", "move the {load}"},
    {"q_heavy",
     "The {load} is too heavy"},
    {"w_heavy", "the {load} began to roll"},

    {"p_flower", "{goal:=g_flower}{plea:=q_flower}{win:=w_flower}{i_flower} {upset}\n\n{meet} {fix=fix_heart}"},
    {"i_flower", "Then {he} found {a} {color} {flower=flowers} {where}, but the {flower} looked weak.|{hero} had {a} {color} {flower=flowers} from "
                 "{his} {family}, but the {flower} looked weak."},
    {"g_flower", "save the {flower}"},
    {"q_flower",
     "The {flower} is so weak"},
    {"w_flower", "the {flower} was strong again"},

    {"p_thief", "{goal:=g_thief}{plea:=q_thief}{win:=w_thief}{i_thief} {upset}\n\n{meet} {fix=fix_find}"},
    {"i_thief", "Then {a} {aadj} {thief=animal} took {histhing} and ran away.|{hero} put down {histhing}, and {a} {aadj} {thief=animal} took "
                "it away."},
    {"g_thief", "get the {thing} back"},
    {"q_thief",
     "{A} {thief} took my {thing}"},
    {"w_thief", "the {thief} gave back the {thing}"},

    /* ---- shared by all problems ---- */
    {"upset",
     "3*{hero} felt {x=sad} and {sad}.|{hero} felt {sad} and sat {where}.|2*{hero} tried {how} to {goal}, but it was too {hard}."},
    {"meet",
     "4*{comes} {tells} {offers}|{comes} {asks} {tells} {offers}"},
    {"soon",
     "Just then|Soon|After a while|A little later|Then|At that moment|Suddenly|A minute later|Luckily|By chance|Right then|Before long"},
    {"comes",
     "2*{Soon}, {a} {wise} {guide=animal} came by.{helper:=h_guide}|"
     "2*{Soon}, {a} {wise} {guide=job} came by with {sight}.{helper:=h_guide}|"
     "{Soon}, {his} friend {pal=girl} came by with {sight}.{helper:=h_pal}|"
     "{Soon}, {his} friend {pal=boy} came by with {sight}.{helper:=h_pal}|{Soon}, {his} {kin} came by with {sight}.{helper:=h_kin}"},
    {"h_guide", "the {guide}"},
    {"h_pal", "{pal}"},
    {"h_kin", "{his} {relative}"},
    {"asks",
     "\"Why are you so {sad}?\" asked {helper}.|\"What is wrong, {hero}?\" asked {helper}.|"
     "\"Can I help you, little {kind}?\" asked {helper}."},
    {"tells",
     "\"{plea},\" {he} {said} {sadly}.|2*\"{plea},\" {said} {hero} {sadly}.|\"{plea},\" {said} {hero}."},
    {"offers",
     "2*\"I will help you {goal},\" said {helper}.|{Helper} {smiled}. \"Let us {goal} together!\"|"
     "2*{Helper} {smiled} and gave {him} {fadj} {foods} and {drink}.|2*{Helper} {smiled} and sat {where}."},

    {"fix_find", "{f_look}|{f_team}|{f_plan}|{f_food}"},
    {"fix_tool", "{f_tool}|{f_team}|{f_plan}|{f_food}"},
    {"fix_heart", "{f_song}|{f_team}|{f_plan}|{f_food}"},
    {"fix_try", "{f_again}|{f_show}|{f_song}|{f_plan}"},
    {"atlast",
     "at last|soon|in the end|after a while|finally|before long|that way|by noon"},
    {"f_look",
     "They looked {where} and {where}, and {atlast} {win}."},
    {"f_team",
     "{Helper} called {creature} and {creature} to help, and {atlast} {win}."},
    {"f_plan",
     "They used {a} {tooladj} {x=toolword} and {a} {tooladj} {toolword}, and {atlast} {win}."},
    {"f_food",
     "They shared {fadj} {x=foods} and {fadj} {foods}, and {atlast} {win}."},
    {"f_tool",
     "{Helper} came back with {a} {tooladj} {toolword}, and {atlast} {win}."},
    {"f_song",
     "{Helper} sang {a} {wise} {songs} about {sight}, and {atlast} {win}."},
    {"f_again",
     "{hero} tried {how}, then {how}, and {atlast} {win}."},
    {"f_show",
     "{Helper} showed {him} {how} how to {goal}, and {atlast} {win}."},

    /* ---- the end ---- */
    {"ending",
     "{feel} {close}|{thank} {close}|{reward} {close}|{feel} {reward}"},
    {"feel",
     "2*{hero} was so {happy} that {he} {joy}.|2*{hero} felt {x=happy} and {happy}.|{Helper} {x=joy}, and {hero} {joy}."},
    {"thank",
     "\"Thank you,\" {gladly} {hero} {how}.|\"You are {a} {wise} friend,\" {gladly} {hero}.|"
     "\"We did it,\" {gladly} {hero}, and {helper} {smiled}."},
    {"reward",
     "They ate {fadj} {x=foods} and {fadj} {foods} {where}.|They had {fadj} {x=foods}, {fadj} {foods} and {drink}.|Then they went to "
     "{x=activity} and {activity}.|"
     "{hero} gave {helper} {a} {color} {x=cloth} and {a} {color} {cloth}."},
    {"close",
     "{hero} learned that {lesson}.|2*That night, {hero} dreamed of {sight} and {sight}.|"
     "{hero} and {helper} were {happy} friends from that day on.|"
     "{hero} and {his} {family} had {fadj} {x=foods} and {fadj} {foods} for dinner.|2*On the way home, {he} saw {sight} and {sight}."},
    {"nature",
     "{look}|{x=look} and {look}"},
    {"creature",
     "3*{a} {aadj} {animal}|2*{number} {aadj} {animals}"},
    {"more",
     "Then {he} waved at {creature} and {smiled}.|Nearby, {he} met {creature} {where}.|Soon {he} met {creature} and {creature}."},
    {NULL, NULL},
};
