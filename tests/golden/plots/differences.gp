# Made by loci plot. To draw it again, in its folder: gnuplot differences.gp
set encoding utf8
set colorsequence podo
set border 3 linecolor rgb '#404040'
set tics nomirror out scale 0.6 textcolor rgb '#202020'
set grid linecolor rgb '#e0e0e0' linewidth 0.5 linetype 1 dashtype 1
set tmargin 2.5
set label 1 'Bar: mean and 95 % t-interval of the difference, paired by seed (none for n = 1). Dots: single seeds. Colours: after Holm'."\047".'s correction.' at screen 0.02, character 0.9 left font ',10' textcolor rgb '#606060'
set bmargin 5.2
set title 'memory: what is better or worse than '."\047".'short 1e-3'."\047".', and how surely?'
set tmargin 2.5
set xlabel 'difference to '."\047".'short 1e-3'."\047".' (bits per byte, lower is better)'
set border 1
set grid xtics noytics
set xtics 0.05
set yrange [8.5:0.5]
set xrange [-0.0556424:0.21573]
set arrow 1 from 0, graph 0 to 0, graph 1 nohead back linecolor rgb '#404040' dashtype 2
set lmargin at screen 0.1923
set rmargin at screen 0.8344
set key at screen 0.8463, graph 1 left top Left reverse samplen 1.5 spacing 1.2 maxcols 1 width -100
set ytics noenhanced scale 0 ('short 3e-3 (n = 3)' 1, 'short 1e-2 (n = 3)' 2, 'long 1e-3 (n = 3)' 3, 'long 3e-3 (n = 3)' 4, 'long 1e-2 (n = 2 of 3)' 5, 'wide 1e-3 (n = 3)' 6, 'wide 3e-3 (n = 3)' 7, 'wide 1e-2 (n = 2 of 3)' 8)
$seeds << EOD
# difference line seed
0.0494760662 1.1900 1
0.0506210422 1.2700 2
0.0505650721 1.3500 3
0.199439048 2.1900 1
0.19900206 2.2700 2
0.201557397 2.3500 3
0.0187952697 3.1900 1
0.0198707256 3.2700 2
0.0217529564 3.3500 3
-0.0410487984 4.1900 1
-0.0419461509 4.2700 2
-0.0401192493 4.3500 3
0.0985127337 5.1900 1
0.100072328 5.3500 3
-0.0307487602 6.1900 1
-0.0296762646 6.2700 2
-0.0289520409 6.3500 3
-0.0125960021 7.1900 1
-0.0114657359 7.2700 2
-0.00883584344 7.3500 3
0.148534035 8.1900 1
0.151244343 8.3500 3
EOD
$better << EOD
# difference line low high n
-0.0410380662 4 -0.0433073213 -0.0387688111 3
-0.0297923552 6 -0.0320379358 -0.0275467746 3
-0.0109658605 7 -0.0157584471 -0.00617327385 3
EOD
$worse << EOD
# difference line low high n
0.0502207268 1 0.0486172112 0.0518242425 3
0.199999502 2 0.196604295 0.203394708 3
0.0201396506 3 0.0164207228 0.0238585783 3
EOD
$noise << EOD
# difference line low high n
EOD
$lost << EOD
# difference line low high n
0.0992925307 5 0.0893842697 0.109200792 2
0.149889189 8 0.132670328 0.16710805 2
EOD
$single << EOD
# difference line low high n
EOD
set terminal svg size 841,506 dynamic noenhanced font 'Liberation Sans, Arial, sans-serif,12' background 'white'
set output 'differences.svg'
plot $seeds using 1:2 with points pointtype 7 pointsize 0.5 linecolor rgb '#a0a0a0' title 'single seeds', \
     $better using 1:2:3:4 with xerrorbars pointtype 5 pointsize 0.9 linewidth 1.8 linecolor rgb '#0072b2' title 'better', \
     $worse using 1:2:3:4 with xerrorbars pointtype 5 pointsize 0.9 linewidth 1.8 linecolor rgb '#d55e00' title 'worse', \
     $lost using 1:2:3:4 with xerrorbars pointtype 5 pointsize 0.9 linewidth 1.8 linecolor rgb '#707070' title 'seeds were lost'
if (exists('say_map')) print sprintf('map %g %g %g %g %.9g %.9g %.9g %.9g', GPVAL_TERM_XMIN, GPVAL_TERM_XMAX, GPVAL_TERM_YMIN, GPVAL_TERM_YMAX, GPVAL_X_MIN, GPVAL_X_MAX, GPVAL_Y_MIN, GPVAL_Y_MAX)
